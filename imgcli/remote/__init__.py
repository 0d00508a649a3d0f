"""Files and folders behind URIs: s3://, gs://, hf:// and whatever else fsspec knows.

    uris.py       what is a URI, and how it may be shown: without passwords and signatures
    faults.py     what libraries and hosts refuse: a sentence with the remedy
    libraries.py  what fsspec makes of a URI, and how each library reads a range
    storage.py    a bucket, or a repository on the hub: list, look up, read a range
    web.py        files of the web, by imgcli's own client
    path.py       a URI where a path is expected
    objects.py    list_uris, stat_uri, read_uri, open_uri

Credentials are found by each library in its own places; none is asked for, shown or stored here.
"""
