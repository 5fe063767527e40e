"""Pages and JSON for people: the inbox of `emailflow dev`. They show, they decide nothing."""
