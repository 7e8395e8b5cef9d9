-- What models were asked, kept for the runs whose clients wanted to see it. The same text runs on SQLite and
-- PostgreSQL.

create table model_requests (
    run_id text not null,
    -- From 1, in the order in which they were sent.
    number bigint not null,
    project text not null,
    thread_id text not null,
    object text not null,
    primary key (run_id, number)
);

create index model_requests_by_thread on model_requests (thread_id);

-- 1 where the client that created the run wanted that. The API does not show it, so it is no part of the object.
alter table runs add column keeps_requests bigint not null default 0;
