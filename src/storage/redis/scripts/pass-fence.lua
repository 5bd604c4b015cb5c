-- Comes after common.lua for the migration that brings a database back, which may change it in spite of its fence.
moved = false
