"""The trader's pages: function views; every lookup starts at `request.user`."""
