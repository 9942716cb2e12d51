"""How models are trained: recipes, engines, supervision, health, alignment, pretraining."""
