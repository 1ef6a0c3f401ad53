"""What a vote is measured on, how its draws are taken, and what is made of them."""
