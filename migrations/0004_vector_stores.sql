-- Vector stores, the files in them, their passages, and what finds those. The same text runs on SQLite and
-- PostgreSQL; the full-text index itself differs, so `store::full_text` makes it.

-- Numbers for what other tables and indexes name often. They are given once and never again.
create table numbers (
    name text primary key,
    last bigint not null
);

insert into numbers (name, last) values ('search', 0);

create table vector_stores (
    id text primary key,
    project text not null,
    position bigint not null,
    -- Stands for the store in passages and words.
    number bigint not null,
    -- The embedding model that all its vectors are of, and their length; '' and 0 until the first file.
    model text not null,
    dimensions bigint not null,
    -- Counts changes of what can be found in it, so that caches know.
    changes bigint not null,
    -- How many passages there are, and how many words they have: what BM25 needs.
    chunks bigint not null,
    words bigint not null,
    -- `file_counts`, `usage_bytes` and `status` are left at nothing here and filled in from the files.
    object text not null
);

create index vector_stores_by_position on vector_stores (project, position, id);

create table vector_store_files (
    id text not null,
    store_id text not null,
    project text not null,
    position bigint not null,
    -- Stands for this attachment in passages. Attached again, the file gets another.
    number bigint not null,
    name text not null,
    status text not null,
    usage_bytes bigint not null,
    -- 1 once its passages can be found by their words, which is before it is completed.
    readable bigint not null,
    -- When a worker may take it up, in milliseconds since 1970; for one that is in progress.
    due_at bigint not null,
    lease_owner text not null,
    -- Counts claims: whoever writes under an older token is refused.
    lease_token bigint not null,
    -- How often work on it failed.
    failures bigint not null,
    object text not null,
    primary key (store_id, id)
);

create index vector_store_files_by_position on vector_store_files (store_id, position, id);

create index vector_store_files_by_status on vector_store_files (store_id, status, usage_bytes);

create index vector_store_files_by_file on vector_store_files (id);

create index vector_store_files_by_due on vector_store_files (due_at) where status = 'in_progress';

create table file_batches (
    id text primary key,
    project text not null,
    store_id text not null,
    position bigint not null,
    object text not null
);

create index file_batches_by_store on file_batches (store_id);

create table file_batch_files (
    batch_id text not null,
    store_id text not null,
    file_id text not null,
    primary key (batch_id, file_id)
);

create index file_batch_files_by_file on file_batch_files (store_id, file_id);

-- A passage's id is its file's number times 2^20 and its place in the file.
create table chunks (
    id bigint primary key,
    project text not null,
    store_number bigint not null,
    -- Page, heading and offsets, as JSON.
    place text not null,
    content text not null,
    -- Its words with blanks between, as the index has them.
    words text not null
);

-- The vectors of a completed file's passages.
create table file_vectors (
    number bigint primary key,
    project text not null,
    vectors bytea not null
);

-- In how many passages of a store a word stands.
create table word_counts (
    store_number bigint not null,
    word text not null,
    chunks bigint not null,
    primary key (store_number, word)
);

-- Attachments that are gone and whose passages are still to be taken away. Nothing finds them any more.
create table detached (
    number bigint primary key,
    store_number bigint not null,
    project text not null
);

-- Vectors by what they are of, so that nothing is embedded twice.
create table embeddings (
    model text not null,
    -- SHA-256 of the text.
    digest text not null,
    vector bytea not null,
    -- Seconds since 1970.
    created_at bigint not null,
    primary key (model, digest)
);

create index embeddings_by_time on embeddings (created_at);
