package config

// Log is how the process speaks.
type Log struct {
	Level  string `name:"log-level" env:"LOG_LEVEL" default:"info" enum:"debug,info,warn,error" help:"Least level that is logged."`
	Format string `name:"log-format" env:"LOG_FORMAT" default:"auto" enum:"auto,json,text" help:"Form of the log: auto is text on a terminal and JSON otherwise."`
}
