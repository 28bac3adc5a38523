"""Files: probing, decoding, encoding and muxing. Hands out numpy; knows no model and no terminal."""
