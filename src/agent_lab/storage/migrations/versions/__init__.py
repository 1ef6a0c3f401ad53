"""One file for each revision; a file that was released is never changed."""
