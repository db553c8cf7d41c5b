"""Which counts of a run are right, whatever its time: for `bench`.

Bytes and flushes are the same in each run of one program, so these bounds are what is counted.
Who makes a run cheaper lowers its bound; who makes it dearer says why here.
"""

from measuring import BLOCK, CORES, GIB, KIB, MIB

# Program and libraries take 15 MiB, the rest is buffers: memory does not grow with the disk.
# Each worker has some of its own, so machines with more than four cores may take more.
PEAK = 64 * MIB + max(0, CORES - 4) * 4 * MIB
# The table of the largest disk has 64 million entries, of which a part is held at a time.
LARGEST_PEAK = PEAK + 32 * MIB

# That table has 512 MiB and is read twice, by the MiB: to check it, and to find what is stored. Each
# piece is found by two seeks. The rest is for the places with data.
LARGEST_CALLS = 3 * 2 * 512 + 10_000

# Four for the journal: its name, its records, its trailer, and that it is gone. On the replica
# the two headers, log and mark before the content take eight; content, log, mark and headers
# after it eight.
JOURNALED_FLUSHES = 20
# The replica's headers and log alone.
IN_PLACE_FLUSHES = 15
# The new file and its name take four, then headers and log as above; and each batch of new
# blocks.
CREATE_FLUSHES = 17
FLUSHES_A_BATCH, BATCH = 3, GIB
# What is long is handed to the disk early.
WRITEBACK_EVERY = 8 * MIB

# Content is read 1 MiB at a time. For each read there may be a quarter of another call: extents
# end, and workers wait for each other.
READ = MIB
CALLS_A_READ = 1.25
# Of what one side looks at where the kernel keeps it 8 MiB are given back at once, in as many calls as
# there are pieces that do not lie side by side: 0.13 to 0.15 are counted.
CALLS_TO_GIVE_BACK = 0.25
# Where each payload block lies elsewhere in the file, data and hole are looked for in each of
# both files.
CALLS_A_FRAGMENT = 4
# Starting a program and its threads, opening two disks and their logs, finding what the files
# store, and threads that wait for each other, more often than else while a tracer stops them:
# 630 are counted.
CALLS_TO_START = 1000
# For each block that differs: into the journal, out of it, into the replica, out of it again, and
# two waits of the threads between which it goes. 4 to 9 are counted.
CALLS_A_CHANGED_BLOCK = 12
# Over a pipe each message is written past SIGPIPE, which takes five calls, and read: 34 are
# counted.
CALLS_A_SENT_BLOCK = 50

# An identical pair exchanges a few messages: 716 bytes are counted.
EXCHANGED = 4 * KIB
# Random bytes do not shrink; records and messages around them may take 2 %.
AROUND_CONTENT = 1.02
# The digests that the search for what differs has to exchange, of each byte of data.
SEARCH = 0.0006
# Headers, log and table of a replica, written beside its content, and what is printed: 0.3 MiB
# are counted.
METADATA = MIB


class Checks:
    """Counts that must be right."""

    def __init__(self):
        self.failed = []
        self.count = 0

    def equal(self, what, actual, expected):
        self.count += 1
        if actual != expected:
            self.failed.append(f"{what}: {actual}, expected {expected}")

    def at_most(self, what, actual, limit):
        self.count += 1
        if actual > limit:
            self.failed.append(f"{what}: {actual}, expected at most {limit:.0f}")

    def at_least(self, what, actual, limit):
        self.count += 1
        if actual < limit:
            self.failed.append(f"{what}: {actual}, expected at least {limit:.0f}")

    def hold(self, what, counted, expected):
        """Holds counts against what is expected: a number exactly, (number,) at most, and
        (least, most) between them."""
        for key, value in expected.items():
            if key not in counted:
                continue
            if isinstance(value, tuple):
                self.at_most(f"{what}, {key}", counted[key], value[-1])
                if len(value) == 2:
                    self.at_least(f"{what}, {key}", counted[key], value[0])
            else:
                self.equal(f"{what}, {key}", counted[key], value)


def calls_to_read(byte_count):
    return CALLS_A_READ * byte_count // READ + CALLS_TO_START


def writebacks(content, journaled=0):
    """Of a replica, and of a journal, which may have less of it where it shrinks."""
    most = (content + METADATA) // WRITEBACK_EVERY + AROUND_CONTENT * journaled // WRITEBACK_EVERY
    return (content // WRITEBACK_EVERY, most)


def identical(data):
    """Both sides are read; a block that is equal is hashed once, and nothing is written."""
    return {
        "blocksDiffering": 0,
        "verified": True,
        "bytesRead": (2 * data,),
        "bytesHashed": (data,),
        "bytesWritten": 0,
        "bytesSent": 0,
        # What it prints.
        "callBytesWritten": (64 * KIB,),
        "systemCalls": (calls_to_read(2 * data),),
        "flushes": 0,
        "writebacks": 0,
        "peakBytes": (PEAK,),
    }


def fragmented(data, payload):
    """Equal content in payload blocks that lie anywhere."""
    expected = identical(data)
    calls = calls_to_read(2 * data) + CALLS_A_FRAGMENT * data // payload
    return {**expected, "systemCalls": (calls,)}


def changed(data, count, block=BLOCK):
    """Through the journal."""
    content = count * block
    return {
        "blocksDiffering": count,
        "verified": True,
        # What was written is read back, and no more.
        "bytesRead": (2 * data + content,),
        # A block that differs on both sides, in the journal, and as it was read back.
        "bytesHashed": (data + 3 * content,),
        "bytesWritten": content,
        "bytesSent": 0,
        # Once to the journal and once to the replica.
        "callBytesWritten": (2 * AROUND_CONTENT * content + METADATA,),
        "systemCalls": (calls_to_read(2 * data) + CALLS_A_CHANGED_BLOCK * count,),
        "flushes": (JOURNALED_FLUSHES,),
        "writebacks": writebacks(content, journaled=content),
        "peakBytes": (PEAK,),
    }


def changed_in_place(data, count, block=BLOCK):
    """Straight to the replica: nothing is written twice."""
    content = count * block
    expected = changed(data, count, block)
    expected["bytesHashed"] = (data + 2 * content,)
    expected["callBytesWritten"] = (content + METADATA,)
    expected["flushes"] = (IN_PLACE_FLUSHES,)
    expected["writebacks"] = writebacks(content)
    return expected


def bytes_compared(expected, content, is_journaled):
    """The same compared byte by byte: through the journal nothing is hashed but what is written;
    without it nothing at all, and what was written is read from both sides again."""
    read_again = 0 if is_journaled else content
    return {
        **expected,
        "bytesRead": (expected["bytesRead"][0] + read_again,),
        "bytesHashed": (3 * content if is_journaled else 0,),
    }


def created(data, block=BLOCK):
    """A new replica: all is written once, read back, and hashed twice."""
    return {
        "blocksDiffering": data // block,
        "verified": True,
        "bytesRead": (2 * data,),
        "bytesHashed": (2 * data,),
        "bytesWritten": data,
        "bytesSent": 0,
        "callBytesWritten": (data + METADATA,),
        "systemCalls": (calls_to_read(2 * data) + data // READ,),
        "flushes": (CREATE_FLUSHES + FLUSHES_A_BATCH * -(-data // BATCH),),
        "writebacks": writebacks(data),
        "peakBytes": (PEAK,),
    }


def mapped(data):
    """One side alone."""
    return {
        "bytesRead": (data,),
        "bytesHashed": (data,),
        "bytesWritten": 0,
        "systemCalls": (calls_to_read(data),),
        "peakBytes": (PEAK,),
    }


def remote(data, count, block=BLOCK):
    """The other side is a process behind a pipe: both sides hash all of their own."""
    content = count * block
    expected = changed(data, count, block) if count else identical(data)
    expected["bytesRead"] = (2 * data + 2 * content,)
    expected["bytesHashed"] = (2 * data + 3 * content,)
    if count:
        expected["bytesSent"] = (AROUND_CONTENT * content,)
        expected["bytesReceived"] = (EXCHANGED + SEARCH * data,)
    else:
        expected["bytesSent"] = expected["bytesReceived"] = (EXCHANGED // 2,)
    if count:
        # The pipe carries the content once more.
        expected["callBytesWritten"] = (3 * AROUND_CONTENT * content + METADATA,)
    # Two programs, and what reaches the second.
    calls = calls_to_read(2 * data) + CALLS_TO_START + CALLS_A_SENT_BLOCK * count
    # What is looked at without being read: whether that was right, and giving it back.
    calls += CALLS_TO_GIVE_BACK * 2 * data // READ
    expected["systemCalls"] = (calls,)
    return expected
