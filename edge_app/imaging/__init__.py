"""What is seen in a frame: sector, calipers, ruler, quality. No Qt and no threads."""
