"""Training, prediction and evaluation loops; models, codecs and data sets come in as arguments."""
