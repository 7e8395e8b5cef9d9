"""Writes one member of a package to standard output, from an offset on. The package is read as data: nothing
of it is installed or imported."""

import shutil
import sys
import zipfile

wheel, member, offset = sys.argv[1], sys.argv[2], int(sys.argv[3])
with zipfile.ZipFile(wheel) as package, package.open(member) as part:
    part.seek(offset)
    shutil.copyfileobj(part, sys.stdout.buffer, 1 << 20)
