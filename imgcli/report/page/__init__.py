"""Pages of HTML that need no network: a run's report and the contact sheet."""
