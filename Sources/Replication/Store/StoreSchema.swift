/// The tables of a store, and how they became what they are.
///
/// A migration that was released does not change any more: what is to be different is another one.
struct StoreSchema: Sendable {
    /// Scripts, each from one version to the next: the first makes version 1 of an empty file.
    var migrations: [String]

    var version: Int { migrations.count }

    /// "vhdr" at byte 68 of the file, which tells whose it is.
    static let applicationID: Int64 = 0x7668_6472

    static let current = StoreSchema(migrations: [version1, version2])

    /// What finishes the disks of a decision (`PreparedJournal`), until it is carried out.
    private static let version2 = """
        CREATE TABLE decided_disks (
            job TEXT NOT NULL REFERENCES decisions (job) ON DELETE CASCADE,
            position INTEGER NOT NULL CHECK (position >= 0),
            replica_path TEXT NOT NULL,
            journal_folder TEXT,
            journal BLOB NOT NULL CHECK (length(journal) = 352),
            PRIMARY KEY (job, position)
        ) STRICT, WITHOUT ROWID;
        """

    /// Numbers and names are those of the WMI classes, times microseconds since 1970, and durations
    /// microseconds.
    private static let version1 = """
        CREATE TABLE replication_states (
            number INTEGER PRIMARY KEY,
            name TEXT NOT NULL
        ) STRICT;
        INSERT INTO replication_states VALUES
            (0, 'Disabled'), (1, 'Ready for replication'),
            (2, 'Waiting to complete initial replication'), (3, 'Replicating'),
            (4, 'Synced replication complete'), (5, 'Recovered'), (6, 'Committed'),
            (7, 'Suspended'), (8, 'Critical'), (9, 'Waiting to start resynchronization'),
            (10, 'Resynchronizing'), (11, 'Resynchronization suspended'),
            (12, 'Failover in progress'), (13, 'Failback in progress'), (14, 'Failback complete'),
            (15, 'Disk update in progress'), (16, 'Disk update critical'), (17, 'Unknown'),
            (18, 'Repurpose replication in progress'), (19, 'Prepared for sync replication'),
            (20, 'Prepared for group reverse replication'), (21, 'Firedrill in progress');

        CREATE TABLE replication_healths (
            number INTEGER PRIMARY KEY,
            name TEXT NOT NULL
        ) STRICT;
        INSERT INTO replication_healths VALUES
            (0, 'Not applicable'), (1, 'Ok'), (2, 'Warning'), (3, 'Critical');

        CREATE TABLE job_states (
            number INTEGER PRIMARY KEY,
            name TEXT NOT NULL,
            is_final INTEGER NOT NULL CHECK (is_final IN (0, 1))
        ) STRICT;
        INSERT INTO job_states VALUES
            (2, 'New', 0), (3, 'Starting', 0), (4, 'Running', 0), (5, 'Suspended', 0),
            (6, 'Shutting Down', 0), (7, 'Completed', 1), (8, 'Terminated', 1), (9, 'Killed', 1),
            (10, 'Exception', 1), (11, 'Service', 0), (32768, 'Completed with warnings', 1);

        -- Msvm_ReplicationRelationship
        CREATE TABLE relationships (
            instance_id TEXT PRIMARY KEY,
            replication_state INTEGER NOT NULL REFERENCES replication_states,
            replication_health INTEGER NOT NULL REFERENCES replication_healths,
            failed_over_replication_type INTEGER NOT NULL,
            last_replication_type INTEGER NOT NULL,
            last_replication_time INTEGER,
            last_application_consistent_replication_time INTEGER,
            last_apply_time INTEGER,
            time_of_last_state_change INTEGER NOT NULL,
            status_description TEXT,
            failure_count INTEGER NOT NULL CHECK (failure_count >= 0),
            next_attempt_time INTEGER
        ) STRICT, WITHOUT ROWID;

        -- Msvm_ReplicationStatistics
        CREATE TABLE statistics (
            relationship TEXT PRIMARY KEY REFERENCES relationships ON DELETE CASCADE,
            start_statistic_time INTEGER,
            end_statistic_time INTEGER,
            replication_success_count INTEGER NOT NULL,
            replication_size INTEGER NOT NULL,
            max_replication_size INTEGER NOT NULL,
            total_latency INTEGER NOT NULL,
            longest_latency INTEGER NOT NULL,
            replication_miss_count INTEGER NOT NULL,
            replication_failure_count INTEGER NOT NULL,
            network_failure_count INTEGER NOT NULL,
            last_result_time INTEGER,
            last_result_code INTEGER,
            situation_time INTEGER,
            pending_replication_size INTEGER,
            replication_health INTEGER REFERENCES replication_healths
        ) STRICT, WITHOUT ROWID;

        -- Msvm_ConcreteJob. A job outlives its relationship, as what happened to it.
        CREATE TABLE jobs (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            instance_id TEXT NOT NULL UNIQUE,
            relationship TEXT NOT NULL,
            job_type INTEGER NOT NULL,
            element_name TEXT NOT NULL,
            owner TEXT,
            job_state INTEGER NOT NULL REFERENCES job_states,
            activity TEXT,
            percent_complete INTEGER NOT NULL CHECK (percent_complete BETWEEN 0 AND 100),
            time_submitted INTEGER NOT NULL,
            scheduled_start_time INTEGER,
            start_time INTEGER,
            elapsed_time INTEGER NOT NULL,
            time_of_last_state_change INTEGER NOT NULL,
            error_code INTEGER NOT NULL CHECK (error_code BETWEEN 0 AND 65535),
            error_description TEXT,
            recovery_action INTEGER NOT NULL CHECK (recovery_action BETWEEN 0 AND 5),
            committed INTEGER NOT NULL CHECK (committed IN (0, 1)),
            bytes_compared INTEGER NOT NULL,
            bytes_differing INTEGER NOT NULL,
            bytes_sent INTEGER NOT NULL,
            attempt_count INTEGER NOT NULL CHECK (attempt_count >= 0),
            time_of_removal INTEGER
        ) STRICT;
        CREATE INDEX jobs_of_relationship ON jobs (relationship, number);
        -- Types 107 and 121 resynchronize: one of them for a relationship, until it has ended.
        CREATE UNIQUE INDEX resynchronizations_under_way ON jobs (relationship)
            WHERE job_type IN (107, 121) AND job_state IN (2, 3, 4, 5, 6, 11);
        CREATE TRIGGER jobs_end_once BEFORE UPDATE OF job_state ON jobs
            WHEN old.job_state IN (7, 8, 9, 10, 32768) AND new.job_state <> old.job_state
            BEGIN SELECT RAISE(ABORT, 'a job that has ended goes on'); END;

        -- What is to become, and what became, of each disk of a job: return_code is null until then.
        CREATE TABLE disk_results (
            job TEXT NOT NULL REFERENCES jobs (instance_id) ON DELETE CASCADE,
            position INTEGER NOT NULL CHECK (position >= 0),
            name TEXT NOT NULL,
            primary_path TEXT NOT NULL,
            replica_path TEXT NOT NULL,
            return_code INTEGER CHECK (return_code BETWEEN 0 AND 65535),
            error_description TEXT,
            virtual_size INTEGER NOT NULL,
            block_size INTEGER NOT NULL,
            blocks_total INTEGER NOT NULL,
            blocks_skipped INTEGER NOT NULL,
            blocks_compared INTEGER NOT NULL,
            blocks_differing INTEGER NOT NULL,
            blocks_held INTEGER NOT NULL,
            bytes_read INTEGER NOT NULL,
            bytes_hashed INTEGER NOT NULL,
            bytes_sent INTEGER NOT NULL,
            bytes_received INTEGER NOT NULL,
            bytes_written INTEGER NOT NULL,
            bytes_compared INTEGER NOT NULL,
            bytes_recorded INTEGER NOT NULL,
            bytes_applied INTEGER NOT NULL,
            bytes_verified INTEGER NOT NULL,
            root_digest BLOB CHECK (length(root_digest) = 32),
            verified INTEGER NOT NULL CHECK (verified IN (0, 1)),
            elapsed_time INTEGER NOT NULL,
            PRIMARY KEY (job, position)
        ) STRICT, WITHOUT ROWID;

        -- Whether the disks of a job are to become new, all of them or none. It is made once.
        CREATE TABLE decisions (
            job TEXT PRIMARY KEY REFERENCES jobs (instance_id),
            committed INTEGER NOT NULL CHECK (committed IN (0, 1)),
            decision_time INTEGER NOT NULL,
            time_carried_out INTEGER
        ) STRICT, WITHOUT ROWID;
        CREATE TRIGGER decisions_stand BEFORE UPDATE OF committed ON decisions
            WHEN new.committed <> old.committed
            BEGIN SELECT RAISE(ABORT, 'a decision is changed'); END;

        -- For people, who read names.
        CREATE VIEW relationships_by_name AS
            SELECT instance_id, s.name AS replication_state, h.name AS replication_health,
                datetime(time_of_last_state_change / 1000000, 'unixepoch') AS since,
                status_description
            FROM relationships
            JOIN replication_states s ON s.number = replication_state
            JOIN replication_healths h ON h.number = replication_health;
        CREATE VIEW jobs_by_name AS
            SELECT instance_id, relationship, s.name AS job_state, percent_complete,
                datetime(time_submitted / 1000000, 'unixepoch') AS submitted,
                datetime(start_time / 1000000, 'unixepoch') AS started,
                attempt_count, error_code, error_description
            FROM jobs JOIN job_states s ON s.number = job_state ORDER BY jobs.number;
        """
}
