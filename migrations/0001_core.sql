-- Assistants, threads, messages, runs and steps. The same text runs on SQLite and PostgreSQL.
--
-- `object` is the API's object as JSON, the one truth about it. The other columns are what the server
-- searches by. `position` orders objects of one kind: microseconds since 1970 where a clock gave it,
-- counted on from there within a thread.

create table assistants (
    id text primary key,
    project text not null,
    position bigint not null,
    object text not null
);

create index assistants_by_position on assistants (project, position, id);

create table threads (
    id text primary key,
    project text not null,
    position bigint not null,
    -- The highest position given to a message, run or step of the thread. Whoever adds to a thread moves it
    -- first, which makes it the thread's lock as well.
    last_position bigint not null,
    object text not null
);

create index threads_by_position on threads (project, position, id);

create table messages (
    id text primary key,
    project text not null,
    thread_id text not null,
    run_id text,
    position bigint not null,
    object text not null
);

create unique index messages_by_position on messages (thread_id, position);

create index messages_by_run on messages (run_id, position) where run_id is not null;

create table runs (
    id text primary key,
    project text not null,
    thread_id text not null,
    position bigint not null,
    status text not null,
    -- 1 until the run has ended.
    live bigint not null,
    -- When any worker may take the run up, in milliseconds since 1970: now for a queued run, the end of the
    -- lease for one at work, its expiry for one that waits for the client.
    due_at bigint not null,
    -- The process that has the lease.
    lease_owner text not null,
    -- Counts claims: whoever writes under an older token is refused.
    lease_token bigint not null,
    object text not null
);

create unique index one_live_run_a_thread on runs (thread_id) where live = 1;

create unique index runs_by_position on runs (thread_id, position);

create index runs_by_due on runs (due_at) where live = 1;

create table steps (
    id text primary key,
    project text not null,
    thread_id text not null,
    run_id text not null,
    position bigint not null,
    -- 1 where the step called tools: the model reads those calls again in later turns.
    calls_tools bigint not null,
    object text not null
);

create unique index steps_by_run on steps (run_id, position);

create index tool_steps_by_thread on steps (thread_id, position) where calls_tools = 1;
