"""A name becomes a network: layer notation, the zoo, timm and torchvision, weights."""
