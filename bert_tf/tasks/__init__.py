"""What a text is given: a class, several labels, a number. One file a task answers all that differs between them."""
