// The collection of users that PocketBase makes by itself, with the cost of a password that Ostiary's bcrypt has.
migrate((app) => {
  const settings = app.settings();
  settings.logs.maxDays = 0;
  settings.rateLimits.enabled = false;
  app.save(settings);

  const users = app.findCollectionByNameOrId("users");
  users.fields.getByName("password").cost = 12;
  // There is no server to send mail by.
  users.authAlert.enabled = false;
  app.save(users);

  // Without one it opens a browser on its first start. Nobody knows the password.
  const superuser = new Record(app.findCollectionByNameOrId("_superusers"));
  superuser.setEmail("nobody@example.com");
  superuser.setRandomPassword();
  app.save(superuser);
});
