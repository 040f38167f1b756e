"""What is drawn, as values: no request, no template, no clock in here."""
