"""One file a question: ``voice.synthetic`` is ``voice_synthetic.py`` with ``train(options)``. Found by walking."""
