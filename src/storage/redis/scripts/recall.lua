-- Returns the replies to the write with the key ARGV 2 and the fingerprint ARGV 3 (answers.lua); nothing if it was not done.
return answerTo(ARGV[2], ARGV[3], '') or {}
