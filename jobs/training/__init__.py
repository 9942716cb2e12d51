"""How models are trained: recipes, exact resume, alignment with TRL, pretraining."""
