"""Figures of networks on CIFAR, from their stored runs."""
