"""What others do with the same frames. Each file runs alone, in an environment of its own, and knows nothing of hoga:

    python READER.py FRAMES SNAPSHOTS START REPEATS

prints `{"us": …, "read_us": …, "books": …, "of": …}`: CPU per frame from frame START on, the best of REPEATS passes,
when nobody reads the book, and when its best levels are read after every frame; and how many of the books stand at
their newest id at the end.
"""
