"""What runs inside a session: the runner that supervises it and the native Python kernel.

Everything here is executed by an image's own interpreter: standard library only, syntax and library of Python 3.6.
"""
