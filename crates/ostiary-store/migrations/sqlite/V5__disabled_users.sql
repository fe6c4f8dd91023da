-- A refresh asks whether its user is disabled. Few are, so the answer lies on a page that stays in memory; the row of
-- each user does not.
create index users_disabled on users (id) where active = 0;

-- So nothing looks for the user of a session any more when it is refreshed. The reference ends the sessions of a user
-- who is deleted; this ends them where references are not enforced, as in SQLite's own shell.
create trigger users_deleted after delete on users begin
    delete from sessions where user_id = old.id;
end;
