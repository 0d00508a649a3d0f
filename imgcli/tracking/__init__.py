"""Trainings while they last, as TensorBoard, MLflow, Weights & Biases or CSV files show them."""
