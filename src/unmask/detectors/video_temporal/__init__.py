"""How a face behaves between frames: flicker, trembling, blinking, speaking."""
