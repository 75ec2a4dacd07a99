-- Makes a generation's list of one key public: for a cluster, where each key is moved by itself.
-- KEYS: the list's key, its meta, the generation's own key and its meta, while another one is public.
-- ARGV: 1 generation  2 epoch
-- Returns how many lists were moved, -2 where it was done as of a later epoch.
return show(KEYS[1], ARGV[1], tonumber(ARGV[2]))
