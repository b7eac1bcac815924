"""Programs that show pequegrad at work; run them from the repository: python -m examples.mlp_mnist"""
