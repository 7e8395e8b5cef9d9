-- Files, uploads and their parts. The same text runs on SQLite and PostgreSQL.
--
-- The bytes are in the blob store, under random keys. `loose_blobs` says which keys may be in use there without a
-- row that holds them, so that nothing is left behind whenever a process dies.

create table files (
    id text primary key,
    project text not null,
    position bigint not null,
    purpose text not null,
    -- Seconds since 1970; null for never.
    expires_at bigint,
    blob text not null,
    object text not null
);

create index files_by_position on files (project, position, id);

create index files_by_expiry on files (expires_at) where expires_at is not null;

create table uploads (
    id text primary key,
    project text not null,
    -- The file's too, once it is there: it is as old as the upload.
    position bigint not null,
    expires_at bigint not null,
    -- Bytes of all parts.
    received bigint not null,
    -- When the file shall be gone, as the client said it, in JSON.
    expires_after text not null,
    object text not null
);

create index uploads_by_expiry on uploads (expires_at);

create table upload_parts (
    id text primary key,
    project text not null,
    upload_id text not null,
    bytes bigint not null,
    blob text not null
);

create index upload_parts_by_upload on upload_parts (upload_id);

-- A key is entered before the first byte is written under it, and taken out in the transaction that gives it to a
-- row. Deleting that row enters it again.
create table loose_blobs (
    blob text primary key,
    -- When anybody may delete it, in milliseconds since 1970. Who writes it moves this on; who deletes it, too.
    due_at bigint not null,
    -- 1 or 2 once somebody has begun to delete it: then no row can get it any more. 2 where nobody can be writing
    -- it: a row held it, or it was deleted a day ago.
    condemned bigint not null
);

create index loose_blobs_by_due on loose_blobs (due_at);

-- Which assistants and threads name which files and vector stores, so that a deleted one is taken out of them.
create table resource_uses (
    resource_id text not null,
    -- The assistant's or thread's id.
    user_id text not null,
    project text not null,
    primary key (resource_id, user_id)
);

create index resource_uses_by_user on resource_uses (user_id);
