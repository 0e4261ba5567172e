def mailman(station): pass
