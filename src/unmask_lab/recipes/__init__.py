"""One readable file a question: data, network, training, export."""
