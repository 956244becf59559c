BEGIN TRANSACTION;
CREATE TABLE sink_beyond (
	writer TEXT NOT NULL, 
	sequence INTEGER NOT NULL, 
	PRIMARY KEY (writer, sequence)
);
CREATE TABLE sink_log (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	series INTEGER NOT NULL, 
	tenant TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	prediction_id TEXT NOT NULL, 
	"row" INTEGER NOT NULL, 
	at INTEGER NOT NULL, 
	value TEXT NOT NULL, 
	fresh INTEGER NOT NULL, 
	joined INTEGER NOT NULL, 
	UNIQUE (prediction_id, "row", series, kind), 
	FOREIGN KEY(series) REFERENCES sink_series (id)
);
CREATE TABLE sink_meta (
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "sink_meta" VALUES('schema','2');
CREATE TABLE sink_segments (
	id INTEGER NOT NULL, 
	series INTEGER NOT NULL, 
	level INTEGER NOT NULL, 
	start INTEGER NOT NULL, 
	"end" INTEGER NOT NULL, 
	writer TEXT NOT NULL, 
	sequence INTEGER NOT NULL, 
	revision INTEGER NOT NULL, 
	total INTEGER NOT NULL, 
	errors INTEGER NOT NULL, 
	unit_errors INTEGER NOT NULL, 
	latency_sum FLOAT NOT NULL, 
	histogram BLOB NOT NULL, 
	errors_by_type TEXT, 
	recorded TEXT, 
	quality TEXT, 
	sample TEXT, 
	failures TEXT, 
	PRIMARY KEY (id), 
	FOREIGN KEY(series) REFERENCES sink_series (id)
);
INSERT INTO "sink_segments" VALUES(1,1,0,1714564800000000,1714564801000000,'w1',1,3,5,2,0,0.002,X'42E2FE01','{"Timeout":2}',NULL,NULL,NULL,NULL);
INSERT INTO "sink_segments" VALUES(2,1,0,1714564870000000,1714564871000000,'w1',2,0,1,0,0,0.002,X'42E2FE01',NULL,NULL,NULL,NULL,NULL);
CREATE TABLE sink_series (
	id INTEGER NOT NULL, 
	tenant TEXT NOT NULL, 
	environment TEXT NOT NULL, 
	model TEXT NOT NULL, 
	version TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (tenant, model, environment, version)
);
INSERT INTO "sink_series" VALUES(1,'acme','production','tickets','1.0.0');
CREATE TABLE sink_sums (
	id INTEGER NOT NULL, 
	series INTEGER NOT NULL, 
	bucket INTEGER NOT NULL, 
	width INTEGER NOT NULL, 
	revision INTEGER NOT NULL, 
	start INTEGER NOT NULL, 
	latest INTEGER NOT NULL, 
	total INTEGER NOT NULL, 
	errors INTEGER NOT NULL, 
	unit_errors INTEGER NOT NULL, 
	latency_sum FLOAT NOT NULL, 
	histogram BLOB NOT NULL, 
	errors_by_type TEXT, 
	recorded TEXT, 
	quality TEXT, 
	PRIMARY KEY (id), 
	UNIQUE (series, width, bucket, revision), 
	FOREIGN KEY(series) REFERENCES sink_series (id)
);
CREATE TABLE sink_writers (
	writer TEXT NOT NULL, 
	reached INTEGER NOT NULL, 
	PRIMARY KEY (writer)
);
INSERT INTO "sink_writers" VALUES('w1',2);
CREATE INDEX sink_segments_level ON sink_segments (series, level, "end", start);
CREATE INDEX sink_segments_time ON sink_segments (series, "end", start);
CREATE INDEX sink_sums_bucket ON sink_sums (series, bucket);
CREATE INDEX sink_log_fresh ON sink_log (tenant, id) WHERE fresh = 1;
CREATE INDEX sink_log_time ON sink_log (series, at);
DELETE FROM "sqlite_sequence";
COMMIT;
