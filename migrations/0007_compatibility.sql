-- The lowest migration that a server must know to use this database. Migrations expand: servers that do not know them
-- go on working beside newer ones. One that takes something away which older servers use raises this number.

create table compatibility (
    oldest bigint not null
);

insert into compatibility (oldest) values (7);
