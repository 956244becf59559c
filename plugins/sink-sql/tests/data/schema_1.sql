BEGIN TRANSACTION;
CREATE TABLE sink_beyond (
	writer TEXT NOT NULL, 
	sequence INTEGER NOT NULL, 
	PRIMARY KEY (writer, sequence)
);
INSERT INTO "sink_beyond" VALUES('w1',4);
CREATE TABLE sink_log (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	series INTEGER NOT NULL, 
	tenant TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	prediction_id TEXT NOT NULL, 
	at INTEGER NOT NULL, 
	value TEXT NOT NULL, 
	UNIQUE (tenant, kind, prediction_id), 
	FOREIGN KEY(series) REFERENCES sink_series (id)
);
INSERT INTO "sink_log" VALUES(1,1,'acme','prediction','p1',1714564800000000,'{"prediction":1}');
INSERT INTO "sink_log" VALUES(3,2,'other','prediction','p1',1714564800000000,'2');
INSERT INTO "sink_log" VALUES(4,3,'acme','outcome','p1',1714564860000000,'1');
CREATE TABLE sink_meta (
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "sink_meta" VALUES('schema','1');
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
	detail TEXT NOT NULL, 
	sample TEXT, 
	PRIMARY KEY (id), 
	FOREIGN KEY(series) REFERENCES sink_series (id)
);
INSERT INTO "sink_segments" VALUES(1,1,0,1714564800000000,1714564801000000,'w1',1,3,5,2,1,0.002,'[{"Timeout":2},{"-286":4,"-100":70000},{"drift.p_value":[2,0.5,0.125,1714564800000000]}]','[{"prediction_id":"p1","x":1.5}]');
INSERT INTO "sink_segments" VALUES(3,1,0,1714564870000000,1714564871000000,'w1',4,0,1,0,0,0.002,'[{},{"-286":1},{}]',NULL);
INSERT INTO "sink_segments" VALUES(4,2,0,1714564803000000,1714564804000000,'w2',1,0,1,0,0,0.002,'[{},{"-286":1},{}]',NULL);
INSERT INTO "sink_segments" VALUES(5,1,60000000,1714564810000000,1714564811000000,'w1',2,0,1,0,0,0.002,'[{},{"-286":1},{}]',NULL);
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
INSERT INTO "sink_series" VALUES(2,'other','production','tickets','1.0.0');
INSERT INTO "sink_series" VALUES(3,'acme','default','unnamed','unversioned');
CREATE TABLE sink_writers (
	writer TEXT NOT NULL, 
	reached INTEGER NOT NULL, 
	PRIMARY KEY (writer)
);
INSERT INTO "sink_writers" VALUES('w1',2);
INSERT INTO "sink_writers" VALUES('w2',1);
CREATE INDEX sink_segments_time ON sink_segments (series, "end", start);
CREATE INDEX sink_log_time ON sink_log (series, at);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('sink_log',4);
COMMIT;
