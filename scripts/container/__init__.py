"""Images as files: archives in the form that every engine loads, and what is in them."""
