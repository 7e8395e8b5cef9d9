-- Threads found by their metadata, and answers kept for requests that may be sent again. The same text runs on
-- SQLite and PostgreSQL.

-- One row for each pair of a thread's metadata.
create table thread_metadata (
    project text not null,
    -- SHA-256 of key and value: the text may be longer than an index takes.
    pair text not null,
    -- The thread's own, so that a list is read from the index in its order.
    position bigint not null,
    thread_id text not null,
    primary key (project, pair, position, thread_id)
);

create index thread_metadata_by_thread on thread_metadata (thread_id);

-- 1 where the thread's pairs are in the table above. SQL that both databases have cannot read them out of the
-- JSON, so what was there before gets its rows when the server first opens the database.
alter table threads add column has_pairs bigint not null default 0;

create index threads_without_pairs on threads (id) where has_pairs = 0;

-- What creating requests with an `Idempotency-Key` were answered. Written in the transaction that creates.
create table answers (
    project text not null,
    idempotency_key text not null,
    -- SHA-256 of path and body: the same key may not stand for anything else.
    request text not null,
    answer text not null,
    -- Seconds since 1970.
    created_at bigint not null,
    primary key (project, idempotency_key)
);

create index answers_by_time on answers (created_at);
