-- The key under which a request puts an upload's parts together. It has the upload for itself as long as that key is
-- kept in `loose_blobs`, so whoever dies lets go of it. Null where nobody is at it.
alter table uploads add column completing text;
