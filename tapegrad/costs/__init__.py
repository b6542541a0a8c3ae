"""What a tape costs: instructions, memory and time, known before it runs."""
