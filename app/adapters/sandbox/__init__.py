"""Code that is not ours, in processes of its own. Only here may the libraries appear that run it."""
