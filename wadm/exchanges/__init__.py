"""The exchanges: sans-IO codecs of one shape, one file each. See ``registry``."""
