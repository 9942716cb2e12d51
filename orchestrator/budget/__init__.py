"""How much may a study spend, and what has it spent? In GPU-hours, money and bytes on the root."""
