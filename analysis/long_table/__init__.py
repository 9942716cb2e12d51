"""What is a row of the long table, and which rows does a view, figure or answer read?"""
