"""One execution of a flow: started, recorded and saved the same way for every caller."""
