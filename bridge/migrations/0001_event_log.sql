-- The durable record: an append-only log of events for each treadmill, the sessions derived from
-- it, what was measured during them, and how far each consumer has come.

CREATE TABLE event (
    treadmill TEXT NOT NULL,
    seq       INTEGER NOT NULL CHECK (seq > 0),   -- rises by one for each event of a treadmill
    session   TEXT,
    type      TEXT NOT NULL,
    at        TEXT NOT NULL,                      -- wall clock, RFC 3339, ms, Z
    uptime_s  REAL NOT NULL,                      -- the bridge's monotonic clock beside it
    data      TEXT NOT NULL CHECK (json_valid(data)),
    PRIMARY KEY (treadmill, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE session (
    no         INTEGER PRIMARY KEY,               -- short key: a decade holds millions of samples
    id         TEXT NOT NULL UNIQUE,
    treadmill  TEXT NOT NULL,
    program    TEXT,
    walker     TEXT,
    started_at TEXT NOT NULL,
    ended_at   TEXT,                              -- NULL: still running, or cut short by a crash
    summary    TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(summary))
) STRICT;

CREATE INDEX session_by_treadmill ON session (treadmill, no);

CREATE TABLE sample (
    session                 INTEGER NOT NULL REFERENCES session (no) ON DELETE CASCADE,
    t_s                     REAL NOT NULL,        -- seconds since the session began
    direction               TEXT,
    segment                 INTEGER,
    requested_speed_kmh     REAL,
    target_speed_kmh        REAL,
    acknowledged_speed_kmh  REAL,
    speed_kmh               REAL,
    target_incline_pct      REAL,
    incline_pct             REAL,
    distance_m              REAL,
    backward_distance_m     REAL,
    energy_kcal             REAL,
    heart_rate_bpm          INTEGER,
    PRIMARY KEY (session, t_s)
) STRICT, WITHOUT ROWID;

CREATE TABLE cursor (
    consumer  TEXT NOT NULL,
    treadmill TEXT NOT NULL,
    seq       INTEGER NOT NULL,
    PRIMARY KEY (consumer, treadmill)
) STRICT, WITHOUT ROWID;

-- Sessions follow from the log inside the same transaction as the event, so the two cannot
-- disagree whatever instant the power fails.
CREATE TRIGGER session_starts AFTER INSERT ON event
WHEN NEW.type = 'session_started' AND NEW.session IS NOT NULL
BEGIN
    INSERT INTO session (id, treadmill, program, walker, started_at)
    VALUES (NEW.session, NEW.treadmill, NEW.data ->> 'program', NEW.data ->> 'walker', NEW.at)
    ON CONFLICT (id) DO NOTHING;
END;

CREATE TRIGGER session_ends AFTER INSERT ON event
WHEN NEW.type = 'session_ended' AND NEW.session IS NOT NULL
BEGIN
    UPDATE session SET ended_at = NEW.at, summary = NEW.data WHERE id = NEW.session;
END;
