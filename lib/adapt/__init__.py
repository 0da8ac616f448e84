"""Domain adaptation: networks trained on a labelled and an unlabelled data set together."""
