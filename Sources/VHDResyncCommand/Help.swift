/// What `--help` prints.
enum Help {
    /// Of a verb with a page of its own, or of all others.
    static func text(for verb: Verb?) -> String {
        guard let verb, verb.isOfService else { return text }
        return service
    }

    static let text = """
        Usage: vhdresync [OPTION]... PRIMARY REPLICA  make REPLICA read as PRIMARY
               vhdresync map DISK -o MAP              write a disk's digests to MAP
               vhdresync diff PRIMARY REPLICA|MAP [-o DELTA]
                                      compare only; write what differs to DELTA
               vhdresync apply DELTA REPLICA          write a delta to REPLICA
               vhdresync recover REPLICA              finish what was interrupted
               vhdresync info DISK                    say what an image is, or a
                                                      map, a delta, a journal
               vhdresync check DISK                   find all that is wrong with it
               vhdresync agent --stdio | --listen ADDRESS:PORT ...
                                      serve other hosts: under ssh, or with TLS
               vhdresync service|vm|job ...           a service: 'vhdresync vm --help'
        With several PRIMARY REPLICA, one is done after the other. One of the two may be
        on another host: [USER@]HOST:PATH over ssh, or vhdresync://HOST[:PORT]/PATH.
        Disks are VHDX files that nothing else uses, differencing ones with their
        parents, and block devices; './info' is a file of that name. What differs goes
        to REPLICA.resync first, and from there to REPLICA.

              --block-size SIZE  unit of comparison: a power of two, 4K to 16M [64K]
              --jobs N           threads that read and hash [one per processor]
              --compare HOW      'hash' for SHA-256, or 'bytes' [hash]
              --hash-provider P  'openssl', or 'auto' for the fastest there is [auto]
              --cache HOW        'keep' what was read in memory, or 'drop' it [keep]
          -n, --dry-run          count what differs, and write nothing
              --create           make the replica if it does not exist
              --parent IMAGE     with --create: store what differs from IMAGE alone
              --parent-path DIR  where parents may be, besides beside their children
              --chain            with 'check': look at the parents of DISK too
              --grow             make a replica that is smaller as large as the primary
              --force            write even if another image builds on REPLICA
              --journal-dir DIR  where the journal stands [beside the replica]
              --apply WAY        write the journal to the 'replica', or to a 'clone' of
                                 it that then takes its place [replica]
              --in-place         no journal: a stop leaves REPLICA half-written
              --verify           read the whole replica again afterwards
              --primary-format F, --replica-format F
                                 'vhdx', 'raw' or 'auto': devices are raw [auto]
              --disks FILE       a primary and its replica on each line, and so on
              --rsh COMMAND      what reaches HOST [ssh]
              --remote-command C what is started there [vhdresync]
              --cert FILE, --key FILE, --ca FILE
                                 this side's certificate and key, and whom it trusts
              --bandwidth-limit RATE
                                 bytes to send in a second, like 500K or 20M [no limit]
              --retry N          call again when a connection breaks, so often [0]
              --idle-timeout S   how long another host may be silent [60]
              --stdio            with 'agent': serve who has started it, under ssh
              --listen ADDRESS   with 'agent': serve who shows a certificate
              --root DIR         the folder that it serves; '--read-only' for reading
              --allow-peer WHO   whom it serves: a name or a fingerprint [all of the CA]
              --log-format F     'text' or 'json' [text]
              --connection-limit N, --run-limit N
                                 how many at once [64, and 8 that compare or write]
          -o, --output FILE      where 'map' and 'diff' write
              --reuse[=OLD]      with 'map': do not read a disk that has not changed
              --timeout TIME     stop after so many seconds, or a time like 30m, 1.5h
              --json             print the result as one JSON object
              --progress HOW     'auto', 'plain', 'json' or 'none' [auto]
          -q, --quiet            no progress, no summary; -h, --help; -V, --version

        Return codes; the exit status is the code less 32767, and 0 for 0 and 4096:
              0 done               32772 timeout             32776 not a VHDX file
           4096 job started        32773 invalid parameter   32777 system not available
          32768 failed             32774 in use by another   32778 out of memory
          32769 access denied      32775 invalid state, as   32779 file not found
          32770 not supported            sizes that differ
          32771 status unknown

        """

    /// Of the replication service.
    static let service = """
        Usage: vhdresync service --config FILE --state-dir DIR [--socket PATH]
                                      resynchronize the machines of an inventory, when
                                      asked and in their windows, until SIGTERM
               vhdresync vm list              machines, their states, what comes next
               vhdresync vm show NAME         one machine, by its name or its GUID
               vhdresync vm resync NAME [--start-time T] [--wait]
                                      make its replica read as it; print the job's ID
               vhdresync vm suspend NAME      stop its resynchronization for now, or its
                                      replication
               vhdresync vm resume NAME       go on with what was suspended
               vhdresync vm cancel NAME       give up its resynchronization
               vhdresync job list             jobs, until 5 minutes after their end
               vhdresync job show ID          one job, with what became of each disk
               vhdresync job watch ID         show how far it is, until it is over
        'vhdresync vm list|show|resync|suspend|resume|cancel [NAME]' and 'vhdresync
        job list|show|watch [ID]' ask the service that runs on this host.

              --config FILE      the inventory: machines, disks, where replicas are
              --state-dir DIR    what the service remembers; it listens there, too
              --socket PATH      where the service listens [DIR/service.sock; without
                                 DIR, /run/vhdresync/service.sock]
              --start-time T     when to begin, up to 7 days ahead: 22:30, '2027-01-31
                                 22:30', or a CIM datetime [now]
              --wait             show how far the job is, and end as it ends; Ctrl-C
                                 ends the watching alone
              --json             print the answer as one JSON object
              --progress HOW     with '--wait' and 'watch': 'auto', 'plain', 'json' or
                                 'none' [auto]
          -q, --quiet            no progress and no summary
          -h, --help             show this

        The exit status is 0 for the return codes 0 and 4096, and else the code less
        32767: 32773 invalid parameter, 32775 the machine's state does not permit it,
        32777 no such machine, or no service there; the code of the job with '--wait'.

        """
}
