# Makes a random history of SEED in the working directory, and writes what a power cut leaves of it to EXPECTED.
import json
import random

chance = random.Random(SEED)


class File:
    def __init__(self):
        self.now = self.synced = b""


class Directory:
    def __init__(self):
        self.now, self.synced = {}, {}


root = Directory()


def walk(directory, prefix=""):
    yield prefix, directory
    for name, node in directory.now.items():
        if isinstance(node, Directory):
            yield from walk(node, prefix + name + "/")


def left(directory, prefix=""):
    for name, node in directory.synced.items():
        if isinstance(node, Directory):
            yield prefix + name + "/", ""
            yield from left(node, prefix + name + "/")
        else:
            yield prefix + name, node.synced.decode()


def written(file, path):
    fd = opened(path)
    offset, text = chance.randrange(30), b"%c" % chance.choice(b"abcdefgh") * chance.randrange(1, 20)
    os.pwrite(fd, text, offset)
    os.close(fd)
    padded = file.now.ljust(offset, b"\0")
    file.now = padded[:offset] + text + padded[offset + len(text):]


def resized(file, path):
    length = chance.randrange(40)
    os.truncate(path, length)
    file.now = file.now[:length].ljust(length, b"\0")


def synced(node, path):
    sync(path or ".")
    node.synced = node.now if isinstance(node, File) else dict(node.now)


for _ in range(300):
    prefix, directory = chance.choice(list(walk(root)))
    name = chance.choice("abcd")
    path, node = prefix + name, directory.now.get(name)
    act = chance.choice(["write", "write", "resize", "sync", "sync", "directory", "remove", "rename", "link"])
    if act == "directory":
        synced(directory, prefix)
    elif node is None:
        if chance.random() < 0.2 and prefix.count("/") < 3:
            os.mkdir(path)
            directory.now[name] = Directory()
        else:
            os.close(opened(path, os.O_CREAT))
            directory.now[name] = File()
    elif act == "sync":
        synced(node, path)
    elif act == "remove":
        if isinstance(node, File):
            os.unlink(path)
            del directory.now[name]
        elif not node.now:
            os.rmdir(path)
            del directory.now[name]
    elif act in ("rename", "link"):
        to_prefix, to = chance.choice(list(walk(root)))
        to_name = chance.choice("abcd")
        target = to.now.get(to_name)
        into_itself = (to_prefix + to_name + "/").startswith(path + "/")
        if act == "rename" and not into_itself and target is not node and not isinstance(target, Directory):
            if isinstance(node, Directory) and (target is not None or to is not directory):
                continue
            os.rename(path, to_prefix + to_name)
            del directory.now[name]
            to.now[to_name] = node
        elif act == "link" and target is None and isinstance(node, File):
            os.link(path, to_prefix + to_name)
            to.now[to_name] = node
    elif isinstance(node, File):
        written(node, path) if act == "write" else resized(node, path)

with open(EXPECTED, "w") as out:
    json.dump(dict(left(root)), out)
