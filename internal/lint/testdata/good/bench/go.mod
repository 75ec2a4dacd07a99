module example.com/bench
