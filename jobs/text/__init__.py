"""Where do pairs and prompts come from? Formats, transforms, dialogues, splits, the nursery."""
